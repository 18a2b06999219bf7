// It is drawn
// anew.
const a = 1;
