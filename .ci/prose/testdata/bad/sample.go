package sample

// Sample tells what a thing, whose name is long, looks like as it
// is.
const message = "a token is wanted"

const identifiersMayBe = told
