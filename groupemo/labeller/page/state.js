// What the actions that still wait will do to a photo: the page shows it before the desk answers.

/** A photo's state after one message; a state is {photo, again, faces, complete, pending, seq}. */
export function applied(state, { do: verb, kind, face, ...body }) {
  const meant =
    verb === "adjudicate" ? ({ box }) => String(box) === String(body.box) : ({ id }) => id === face;
  const change = (changed) => ({
    ...state,
    faces: state.faces.map((one) => (meant(one) ? { ...one, ...changed } : one)),
  });
  switch (kind ?? verb) {
    case "add":
      if (state.faces.some(({ id }) => id === face)) return state;
      return { ...state, faces: [...state.faces, { ...BLANK, id: face, box: body.box }] };
    case "move":
      return change({ box: body.box });
    case "delete":
      return { ...state, faces: state.faces.filter(({ id }) => id !== face) };
    case "label":
    case "adjudicate":
      return change({ ...NO_ANSWER, ...pick(body, Object.keys(NO_ANSWER)) });
    case "complete":
      return { ...state, complete: body.complete };
    default:
      return state;
  }
}

/** What a face has without an answer. */
export const NO_ANSWER = { label: null, second: null, confidence: null, votes: null };

const BLANK = { proposed: false, score: null, ...NO_ANSWER };

function pick(object, names) {
  return Object.fromEntries(
    names.filter((name) => name in object).map((name) => [name, object[name]]),
  );
}

/** The faces that differ between two states of a photo, by id. */
export function changedFaces(before, after) {
  const old = new Map(before.faces.map((face) => [face.id, JSON.stringify(face)]));
  return after.faces
    .filter((face) => old.get(face.id) !== JSON.stringify(face))
    .map(({ id }) => id);
}
