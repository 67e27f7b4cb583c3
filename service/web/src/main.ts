// Where the pages begin.

import { ask } from "./pages/ask";
import { capital } from "./pages/capital";
import { compare } from "./pages/compare";
import { data } from "./pages/data";
import { explore } from "./pages/explore";
import { live } from "./pages/live";
import { receipt } from "./pages/receipt";
import { start } from "./pages/start";
import { stress } from "./pages/stress";
import { time } from "./pages/time";
import { whatIf } from "./pages/what_if";
import { Shell } from "./shell";

const root = document.getElementById("app");
if (root) new Shell(root, [start, explore, compare, stress, whatIf, live, time, capital, data, receipt, ask]).start();
