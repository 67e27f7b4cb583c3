// Where the pages begin.

import { ask } from "./pages/ask";
import { compare } from "./pages/compare";
import { Shell } from "./shell";

const root = document.getElementById("app");
if (root) new Shell(root, [compare, ask]).start();
