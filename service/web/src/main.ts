// Where the pages begin.

import { ask } from "./pages/ask";
import { explore } from "./pages/explore";
import { Shell } from "./shell";

const root = document.getElementById("app");
if (root) new Shell(root, [explore, ask]).start();
