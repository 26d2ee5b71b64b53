// The answers a face can have, and their keys.

const NO_EXPRESSION = { unsure: "0", not_a_face: "9", ignore: "i" };
const CONTEMPT = "contempt";

/** Every label in the order it is shown: [label, key]. `classes` are the seven of the desk. */
export function labelKeys(classes) {
  const emotions = classes.map((label, index) => [label, String(index + 1)]);
  return [...emotions, [CONTEMPT, "8"], ...Object.entries(NO_EXPRESSION)];
}

export function isExpression(label) {
  return !(label in NO_EXPRESSION);
}

export function nameOf(label) {
  return label.replaceAll("_", " ");
}

export const CONFIDENCES = ["a guess", "fairly sure", "sure"];

/** An answer in words: "happy, second choice surprise, fairly sure". */
export function told({ label, second, confidence }) {
  const words = [
    label && nameOf(label),
    second && `second choice ${nameOf(second)}`,
    confidence && CONFIDENCES[confidence - 1],
  ];
  return words.filter(Boolean).join(", ") || "no label";
}
