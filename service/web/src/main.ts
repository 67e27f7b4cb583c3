// Where the pages begin.

import { ask } from "./pages/ask";
import { compare } from "./pages/compare";
import { explore } from "./pages/explore";
import { stress } from "./pages/stress";
import { whatIf } from "./pages/what_if";
import { Shell } from "./shell";

const root = document.getElementById("app");
if (root) new Shell(root, [explore, compare, stress, whatIf, ask]).start();
