"""The share menu for browser tests."""

from pathlib import Path

from pages import write
from playwright.sync_api import Download, Page, expect


def writable(page: Page, text: str) -> Page:
    """The page with this text, free to use the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    write(page, text)
    return page


def share(page: Page, name: str) -> None:
    panel = page.get_by_role("dialog", name="Share")
    if not panel.is_visible():
        page.get_by_role("button", name="Share").click()
    panel.get_by_role("button", name=name, exact=True).click()


def copied(page: Page, name: str) -> str:
    """What a button of the share menu puts on the clipboard."""
    share(page, name)
    expect(page.locator(".share-said")).to_contain_text("Copied.")
    text = page.evaluate("navigator.clipboard.readText()")
    page.keyboard.press("Escape")
    return str(text)


def saved(page: Page, name: str) -> bytes:
    """The file that a button of the share menu saves."""
    with page.expect_download() as event:
        share(page, name)
    download: Download = event.value
    page.keyboard.press("Escape")
    return Path(download.path()).read_bytes()
