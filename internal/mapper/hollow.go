package mapper

import (
	"bytes"
	"slices"
)

// objectLists are the lists of an answer whose elements are objects, and addressLists those of addresses; what else stands in
// one takes the memory of such an element too.
var objectLists = [][]byte{
	[]byte("containers"), []byte("networks"), []byte("listening"), []byte("published"), []byte("connections"), []byte("unused"), []byte("established"),
}
var addressLists = [][]byte{[]byte("addresses"), []byte("gateways")}

// shortestAddress is the length of an address as JSON has it.
const shortestAddress = len(`"::"`)

// isHollow reports whether a JSON text would take many times its memory: it has more objects than are worth their
// length, or something else in the lists of objects. What is no JSON may be judged wrongly.
func isHollow(text []byte) bool {
	var s scanner
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			if !s.step(c) || s.objects > len(text)/shortest+1 || len(s.open) > deepest {
				return true
			}
			if c == '"' {
				n := lengthOfString(text[i:])
				if s.top() == listOfAddresses && n < shortestAddress {
					return true
				}
				s.last = text[i+1 : max(i+1, i+n-1)]
				i += n - 1
			}
		}
	}
	return false
}

// deepest bounds how many brackets are open at once; those of an answer are six.
const deepest = 100

// scanner goes through a JSON text from one token to the next.
type scanner struct {
	open    []bracket
	last    []byte // the string before, which may be a key
	objects int
	next    byte // with which an element of a list may begin here; 0 where anything may stand
}

// bracket is one that is open: that of an object, of a list of objects or addresses, or of another list.
type bracket byte

const (
	object bracket = iota
	listOfObjects
	listOfAddresses
	otherList
)

// beginOf is with what an element of a list begins.
var beginOf = map[bracket]byte{listOfObjects: '{', listOfAddresses: '"'}

// top is the bracket around; that of an object where there is none.
func (s *scanner) top() bracket {
	if len(s.open) == 0 {
		return object
	}
	return s.open[len(s.open)-1]
}

// step takes the first character of a token, and reports whether it may stand there.
func (s *scanner) step(c byte) bool {
	if s.next != 0 && c != s.next && c != ']' {
		return false
	}
	s.next = 0
	switch c {
	case '{':
		s.objects++
		s.open = append(s.open, object)
	case '[':
		s.open = append(s.open, s.list())
		s.next = beginOf[s.top()]
	case '}', ']':
		s.open = s.open[:max(0, len(s.open)-1)]
	case ',':
		s.next = beginOf[s.top()]
	}
	return true
}

// list tells what a list that begins holds, by the key before it. As package encoding/json does, it takes no notice of the
// case of keys; one that is written with a backslash may be any.
func (s *scanner) list() bracket {
	isNamed := func(name []byte) bool { return bytes.EqualFold(name, s.last) }
	switch {
	case len(s.open) == 0 || s.top() == object && (slices.ContainsFunc(objectLists, isNamed) || bytes.ContainsRune(s.last, '\\')):
		return listOfObjects
	case s.top() == object && slices.ContainsFunc(addressLists, isNamed):
		return listOfAddresses
	}
	return otherList
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
