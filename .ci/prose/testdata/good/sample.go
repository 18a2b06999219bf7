package sample

// Sample returns the description of a thing.
const message = "token required: send Authorization: Bearer <token>"

const told = 1 // An identifier is not prose.
