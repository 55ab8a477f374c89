"""The bars drawn without a call are those the server would answer."""

import pytest
from pages import body, percents, settled, write
from playwright.sync_api import Page, Request

PROMPTS = ["Once upon a time", "The little girl was very", "Tom"]
TEMPERATURES = [0.02, 0.05, 0.1, 0.13, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95, 1.05, 1.2, 1.45, 1.75, 2, 3.3, 5]

COMPARE = """async ({text, temperatures}) => {
  const { redraw } = await import("/core/distribution.js");
  const { readAnswer } = await import("/net/wire.js");
  const ask = async (temperature) => {
    const settings = { topK: 50, temperature };
    const response = await fetch("/api/next-token", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text, model: "bundled", top_k: 50, temperature, include_partition: true }),
    });
    return readAnswer(await response.json(), { model: "bundled", text: null, ...settings });
  };
  const atOne = await ask(1);
  const worst = { probability: 0, other: 0, entropy: 0 };
  for (const temperature of temperatures) {
    const theirs = await ask(temperature);
    const ours = redraw(atOne, temperature, 50);
    ours.rows.forEach((row, index) => {
      if (row.candidate.token.id !== theirs.candidates[index].token.id) throw new Error("another order");
      worst.probability = Math.max(worst.probability, Math.abs(row.probability - theirs.candidates[index].probability));
    });
    worst.other = Math.max(worst.other, Math.abs(ours.otherProbability - theirs.otherProbability));
    worst.entropy = Math.max(worst.entropy, Math.abs(ours.entropyBits - theirs.entropyBits));
  }
  return worst;
}"""


@pytest.mark.parametrize("text", PROMPTS)
def test_bars_at_any_temperature_agree_with_the_server(page: Page, text: str) -> None:
    worst = page.evaluate(COMPARE, {"text": text, "temperatures": TEMPERATURES})
    assert worst["probability"] <= 1e-4
    assert worst["other"] <= 1e-4
    assert worst["entropy"] <= 1e-2


def test_dragging_redraws_without_a_call_and_letting_go_asks_once(page: Page) -> None:
    write(page, "The little girl was very")
    asked: list[float] = []

    def note(request: Request) -> None:
        if request.url.endswith("/api/next-token"):
            asked.append(body(request)["temperature"])

    page.on("request", note)
    slider = page.locator("#temperature")
    box = slider.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    seen = []
    for step in range(1, 11):
        page.mouse.move(box["x"] + box["width"] * (0.5 - 0.03 * step), middle)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        seen.append(page.locator("#chart .row .percent").first.inner_text())
    assert asked == []
    assert len(set(seen)) > 5, "the bars follow the thumb"
    drawn = percents(page)
    page.mouse.up()
    settled(page)
    assert len(asked) == 1
    assert percents(page) == pytest.approx(drawn, abs=0.051), "the server's numbers are the ones drawn"
