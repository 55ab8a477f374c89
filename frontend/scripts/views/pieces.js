/**
 * Draws the pieces of tokens. What a mark looks like is drawn by the style sheet, so that a copy holds the text alone; text
 * from a model enters as text only, isolated in its direction.
 *
 * @typedef {import("../tokens.js").Piece} Piece
 */

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
