// The style of the titles and numbers of the matrix, and of the matrix on paper. It joins drawing.css with the matrix, so that the first load has no need of it.
const rules = [
  ":root { --on-cell: #000000; --on-faint-cell: light-dark(#000000, #ffffff); }",
  ".crossing { fill: none; stroke: var(--accent); stroke-width: 1.5; pointer-events: none; }",
  ".numbers { text-anchor: middle; pointer-events: none; }",
  ".numbers text { fill: var(--on-cell); }",
  ".numbers .active.few, .numbers .idle { fill: var(--on-faint-cell); }",
  ".numbers .open { fill: var(--ink); }",
  ".corner { font-size: 12px; fill: var(--quiet); }",
  ".title rect { fill: var(--box); stroke: var(--box-line); }",
  ".title text { font-size: 11px; font-weight: 600; text-anchor: middle; fill: var(--quiet); }",
  ".axis .quiet { font-size: 11px; font-weight: 400; fill: var(--quiet); }",
  "@media print { #matrix { position: static; display: block; } #matrix > :not(.matrix-paper) { display: none; } .matrix-paper { display: block; max-width: 100%; height: auto; max-height: 85vh; } }",
];

/** addStyle adds the rules to drawing.css. Saved pictures contain them too. */
export function addStyle() {
  const { sheet } = document.getElementById("drawing");
  for (const rule of rules) sheet.insertRule(rule, sheet.cssRules.length);
}
