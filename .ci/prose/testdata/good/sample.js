// It is drawn
// again.
const a = 1;
