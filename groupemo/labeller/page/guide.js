// What the labels mean, with drawn faces: none of a person, so that nobody's face becomes the measure.
//
// The muscles follow the prototypes of the Facial Action Coding System (Ekman, Friesen and Hager,
// 2002); the numbers are its action units. The words are our own.

import { element, svg } from "./element.js";
import { nameOf } from "./labels.js";

const HEAD = "M50 5C77 5 88 27 86 52 84 78 66 96 50 96 34 96 16 78 14 52 12 27 23 5 50 5Z";
const NOSE = "M48 49L46 62Q50 66 54 62";

// Strokes of the left half are mirrored; `middle` is drawn once. `eye` is closed and filled white.
const DRAWINGS = {
  angry: {
    eye: "M25 48L43 49Q34 55 25 48Z",
    iris: [34, 49.5, 3],
    half: ["M22 36L45 45", "M43 60Q40 61 41 64"],
    middle: [NOSE, "M47.5 37V43M52.5 37V43", "M38 78H62M41 81.5H59"],
  },
  disgust: {
    eye: "M25 48Q34 44 43 49Q34 53 25 48Z",
    iris: [34, 48.5, 2.6],
    half: ["M23 41Q34 38 45 44", "M45 52L41 54M45.5 56L41 58", "M41 63Q33 67 32 78"],
    middle: [
      "M46 60Q50 57 54 60",
      "M35 81Q42 72 50 75Q58 72 65 81Q50 79 35 81Z",
      "M41 86Q50 89 59 86",
    ],
  },
  fear: {
    eye: "M24 47Q33 34 43 47Q34 51 24 47Z",
    iris: [33.5, 44, 3.4],
    half: ["M21 35Q33 27 45 27"],
    middle: [NOSE, "M38 17H62M41 21.5H59", "M31 77Q50 71 69 77Q50 85 31 77Z"],
  },
  happy: {
    eye: "M24 47Q33 37 43 46Q33 44 24 47Z",
    iris: [33.5, 43.5, 2.8],
    half: [
      "M23 35Q33 29 44 34",
      "M20 44L16.5 42M20 48L16.5 49",
      "M27 52Q34 49 41 52",
      "M40 61Q30 65 28 73",
    ],
    middle: [NOSE, "M30 71Q50 76 70 71Q62 89 50 89 38 89 30 71Z"],
  },
  sad: {
    eye: "M25 49Q33 43 43 45Q34 52 25 49Z",
    iris: [34, 47.5, 2.9],
    half: ["M22 40Q34 37 45 29"],
    middle: [NOSE, "M46 24Q50 21 54 24", "M37 83Q50 72 63 83", "M44 89Q50 86 56 89"],
  },
  surprise: {
    eye: "M24 47Q33 33 43 47Q34 54 24 47Z",
    iris: [33.5, 44.5, 3.4],
    half: ["M21 32Q33 19 45 29"],
    middle: [NOSE, "M36 14H64M38 18H62", "M50 69Q59 69 59 80 59 91 50 91 41 91 41 80 41 69 50 69Z"],
  },
  neutral: {
    eye: "M25 47Q33 40 43 47Q34 51 25 47Z",
    iris: [34, 45.5, 3.2],
    half: ["M23 37Q33 31 44 36"],
    middle: [NOSE, "M39 78Q50 79.5 61 78"],
  },
  contempt: {
    eye: "M25 47Q33 41 43 47Q34 51 25 47Z",
    iris: [34, 46, 3],
    half: ["M23 37Q33 32 44 36"],
    middle: [NOSE, "M38 79Q54 80 66 72", "M66 67Q71 71 68 78"],
  },
};

/** A drawn face with the expression; words that are no expression give a sign instead. */
export function drawing(label) {
  const lines = {
    fill: "none",
    stroke: "currentColor",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
  };
  const picture = svg("svg", {
    viewBox: "0 0 100 100",
    class: "drawn",
    "aria-hidden": "true",
    ...lines,
  });
  const face = DRAWINGS[label];
  if (!face) {
    picture.append(...SIGNS[label].map((d) => svg("path", { d })));
    return picture;
  }
  const path = (d, extra = {}) => svg("path", { d, ...extra });
  const half = () => [
    path(face.eye, { class: "eye" }),
    svg("circle", { cx: face.iris[0], cy: face.iris[1], r: face.iris[2], fill: "currentColor" }),
    ...face.half.map((d) => path(d)),
  ];
  picture.append(path(HEAD, { class: "skin" }), svg("g", {}, ...half()));
  picture.append(
    svg("g", { transform: "matrix(-1 0 0 1 100 0)" }, ...half()),
    ...face.middle.map((d) => path(d)),
  );
  return picture;
}

const SIGNS = {
  unsure: ["M36 36Q36 20 50 20 64 20 64 35 64 45 50 52V62", "M50 77V78"],
  not_a_face: [HEAD, "M22 20L78 80"],
  ignore: [
    "M20 20H32M44 20H56M68 20H80V32M80 44V56M80 68V80H68M56 80H44M32 80H20V68M20 56V44M20 32V20",
  ],
};

/** Label, what to look for, what it is taken for. */
const EXPRESSIONS = [
  [
    "angry",
    "Brows lowered and drawn together, often with upright folds between them. Eyes hard, lids tense. Lips pressed thin, or open and square. (4, 5, 7, 23)",
    "Lowered brows alone may be bright sun or hard thought: look for tense lids or lips as well.",
  ],
  [
    "disgust",
    "Nose wrinkled, upper lip raised, a deep fold from the nose to the corners of the mouth. Brows may come down with the nose. (9, 10, 15)",
    "Anger has the brows but neither the wrinkled nose nor the raised lip.",
  ],
  [
    "fear",
    "Brows raised and drawn together, so that they lie flat. Upper lids high, lower lids tense. Mouth stretched to the sides. (1, 2, 4, 5, 7, 20)",
    "Surprise has round brows and a mouth that hangs loose.",
  ],
  [
    "happy",
    "Corners of the mouth drawn up and back. Cheeks raised, lower lids pushed up, folds beside the eyes. (6, 12)",
    "A smile for the camera counts: the label is what the face shows, not whether it is meant.",
  ],
  [
    "sad",
    "Inner ends of the brows raised. Upper lids heavy. Corners of the mouth down, chin pushed up. (1, 4, 15, 17)",
    "A tired face or one that looks down is neutral unless brows or mouth say otherwise.",
  ],
  [
    "surprise",
    "Brows high and round. Eyes wide, white above the iris. Jaw dropped, mouth open and loose. (1, 2, 5, 26)",
    "An open mouth alone may be speech, song or a laugh.",
  ],
  [
    "neutral",
    "No muscle at work: brows, lids and mouth as they rest. Faces at rest differ, and some look stern or sad.",
    "A slight but clear smile is happy, not neutral.",
  ],
  [
    "contempt",
    "One corner of the mouth tightened and raised, the other not. (12 and 14, one side)",
    "Not one of the seven: it is kept with its own name. A smile seen from the side is happy.",
  ],
];

const RULES = [
  [
    "unsure",
    "It is a face, but you cannot tell: too small, blurred, turned away, covered. Take it rather than guess. It counts for whether the face was found, and for nothing else. Where two labels fit and you lean to one, give that one, and the other as second choice.",
  ],
  [
    "not_a_face",
    "The box shows no face: a hand, a pattern, the back of a head. A face in a poster or on a statue is not one of the group; call it ignore.",
  ],
  [
    "ignore",
    "A region that nobody should be judged by: a poster, a screen, a crowd too far away. A detector may find it or not.",
  ],
];

/** What to look for, in words. */
export function meaning(label) {
  return [...EXPRESSIONS, ...RULES].find(([name]) => name === label)[1];
}

/** Fill the guide's dialog: one article a label; `keys` are theirs, by label. */
export function fillGuide(place, keys) {
  const article = ([label, look, mind]) =>
    element(
      "article",
      {},
      drawing(label),
      element("h3", {}, nameOf(label), " ", element("kbd", {}, keys.get(label))),
      element("p", {}, look),
      mind ? element("p", { className: "mind" }, mind) : null,
    );
  place.replaceChildren(...[...EXPRESSIONS, ...RULES].map(article));
}
