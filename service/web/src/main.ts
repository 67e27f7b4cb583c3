// Where the pages begin.

import { ask } from "./pages/ask";
import { Shell } from "./shell";

const root = document.getElementById("app");
if (root) new Shell(root, [ask]).start();
