// The page as the server gives it: the labeller, speaking HTTP.

import { mount } from "./app.js";
import * as transport from "./transport.js";

const annotator = new URLSearchParams(location.search).get("annotator");
await mount(document.body, transport, { annotator, restart: () => location.reload() });
