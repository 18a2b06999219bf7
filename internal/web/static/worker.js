// The worker in which scenes are arranged, so that the page never waits for a layout.
import { arrange } from "./arrange.js";

onmessage = ({ data: { turn, request } }) => postMessage({ turn, arrangement: arrange(request) });
