/** The chart's colours for an image, which has no style sheet: those of `ui/vars.css`, in sRGB. */

const ROLES = {
  surface: "--surface",
  ink: "--ink",
  quiet: "--ink-quiet",
  track: "--track",
  bar: "--bar",
  pale: "--bar-raw",
  other: "--bar-other",
  pinA: "--pin-a",
  pinB: "--pin-b",
  pinC: "--pin-c",
};

/** @returns {import("./picture.js").Palettes} */
export function palettes() {
  return { light: palette("light"), dark: palette("dark") };
}

/** @param {"light" | "dark"} [scheme] the viewer's, if left out @returns {import("./picture.js").Palette} */
export function palette(scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light") {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.colorScheme = scheme;
  document.body.append(probe);
  const read = Object.entries(ROLES).map(([name, variable]) => {
    // A mixture is computed in the space of the mixing.
    probe.style.color = `color-mix(in srgb, var(${variable}), var(${variable}))`;
    return [name, hex(getComputedStyle(probe).color)];
  });
  probe.remove();
  return /** @type {any} */ (Object.fromEntries(read));
}

/** @param {string} colour such as "color(srgb 0.17 0.42 0.81)" @returns {string} such as "#2b6bcf" */
function hex(colour) {
  const parts = colour.match(/-?[\d.]+(?:e-?\d+)?(?=[\s)])/g)?.slice(0, 3) ?? [];
  return `#${parts.map((part) => Math.round(Math.min(1, Math.max(0, Number(part))) * 255).toString(16).padStart(2, "0")).join("")}`;
}
