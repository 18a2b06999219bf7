package mapper

// elements counts the objects of a JSON text and the elements of its lists, whatever these are: null, too, takes the memory
// of what could stand there. It stops when there are more than most. What is no JSON may be counted wrongly.
func elements(text []byte, most int) (n int) {
	var open []byte // the brackets around
	isNext := false // an element of a list may begin here
	for i := 0; i < len(text) && n <= most; i++ {
		c := text[i]
		if c == ' ' || c == '\t' || c == '\n' || c == '\r' {
			continue
		}
		if c == '{' || isNext && c != ']' {
			n++
		}
		isNext = c == '[' || c == ',' && len(open) > 0 && open[len(open)-1] == '['
		switch c {
		case '"':
			i += lengthOfString(text[i:]) - 1
		case '{', '[':
			open = append(open, c)
		case '}', ']':
			open = open[:max(0, len(open)-1)]
		}
	}
	return n
}

// lengthOfString returns the length of the JSON string with which a text begins; that of all, if it does not end.
func lengthOfString(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}
