// Agreement in figures, as the desk gives them.

import { count, element } from "./element.js";
import { nameOf } from "./labels.js";

const figure = (value) => (value === null ? "undefined" : value.toFixed(2));

function table(caption, head, rows) {
  const cells = (tag, texts) =>
    texts.map((text, index) =>
      element(
        index ? tag : "th",
        { scope: index ? (tag === "th" ? "col" : null) : tag === "th" ? "col" : "row" },
        String(text),
      ),
    );
  return element(
    "div",
    { className: "wide", tabIndex: 0, role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...cells("th", head))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells("td", row)))),
    ),
  );
}

function self(name, { faces, same, kappa }) {
  const text = faces
    ? `${same} of ${count(faces, "face")} the same when shown again; kappa ${figure(kappa)}.`
    : "No face was shown again so far.";
  return element("p", {}, element("b", {}, name), ": ", text);
}

/** Elements that show the reply to `agreement`. */
export function agreementFigures(reply) {
  if (reply.blind) {
    const why =
      "How far others agree with you is not shown while you label: it would tell what they said.";
    return [self("You with yourself", reply.self), element("p", { className: "quiet" }, why)];
  }
  const { annotators, faces, alpha, fleiss, pairs, selves } = reply;
  const people = annotators.length ? annotators.join(", ") : "nobody yet";
  const pairRows = pairs.map((pair) => [
    pair.annotators.join(" and "),
    pair.faces,
    figure(pair.kappa),
    ...pair.annotators.map((one) => pair.alone[one]),
  ]);
  const confusions = pairs.map(({ annotators: [a, b], labels, confusion }) =>
    table(
      `Rows: ${a}, columns: ${b}`,
      ["", ...labels.map(nameOf)],
      confusion.map((row, index) => [nameOf(labels[index]), ...row]),
    ),
  );
  return [
    element("p", {}, `Annotators: ${people}. ${count(faces, "face")} labelled by two or more.`),
    table(
      "All together",
      ["Figure", "Value"],
      [
        ["Krippendorff's alpha", figure(alpha)],
        ["Fleiss' kappa", figure(fleiss)],
      ],
    ),
    ...(pairs.length
      ? [
          table(
            "Two by two",
            ["Pair", "Faces", "Cohen's kappa", "Boxes of the first alone", "of the second alone"],
            pairRows,
          ),
        ]
      : []),
    ...confusions,
    ...Object.entries(selves).map(([name, one]) => self(name, one)),
  ];
}
