/**
 * Renders tokens. Marks are drawn by the style sheet, so copying yields the text alone. Model output is inserted as text
 * only, with bidi isolation.
 *
 * @typedef {import("../core/marks.js").Piece} Piece
 */

const SVG = "http://www.w3.org/2000/svg";

/** @param {readonly Piece[]} pieces @returns {HTMLElement} */
export function drawPieces(pieces) {
  const drawn = document.createElement("bdi");
  drawn.className = "pieces";
  for (const piece of pieces) {
    if (piece.kind === "text") {
      drawn.append(piece.text);
      continue;
    }
    const glyph = document.createElement("span");
    glyph.className = piece.kind;
    glyph.dataset.glyph = piece.glyph;
    glyph.textContent = piece.text;
    drawn.append(glyph);
  }
  if (!pieces.length) drawn.append("∅");
  return drawn;
}


/** @param {string} path of a 16 × 16 icon @returns {SVGElement} hidden from screen readers */
export function drawIcon(path) {
  const icon = document.createElementNS(SVG, "svg");
  const line = document.createElementNS(SVG, "path");
  icon.setAttribute("class", "icon");
  icon.setAttribute("viewBox", "0 0 16 16");
  icon.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  icon.append(line);
  return icon;
}
