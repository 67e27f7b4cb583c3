// Where the pages begin.

import { ask } from "./pages/ask";
import { capital } from "./pages/capital";
import { data } from "./pages/data";
import { receipt } from "./pages/receipt";
import { start } from "./pages/start";
import { time } from "./pages/time";
import { Shell } from "./shell";

const root = document.getElementById("app");
if (root) new Shell(root, [start, time, capital, data, receipt, ask]).start();
