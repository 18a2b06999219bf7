package mapper

import (
	"bytes"
	"slices"
)

// objectLists are the JSON keys of lists of objects in a response, and addressLists those of lists of addresses. Any other JSON
// value in such a list decodes into an element of the same size.
var objectLists = [][]byte{
	[]byte("containers"), []byte("networks"), []byte("listening"), []byte("published"), []byte("connections"), []byte("unused"), []byte("established"), []byte("translations"),
}
var addressLists = [][]byte{[]byte("addresses"), []byte("gateways")}

const (
	// minBytesPerObject is the average length in JSON below which objects take many times the memory of their text.
	minBytesPerObject = 24
	// minAddressLength is the length of the shortest address in JSON.
	minAddressLength = len(`"::"`)
	// maxDepth bounds the nesting of brackets. Valid responses nest six.
	maxDepth = 100
)

// isBomb reports whether decoding text would take many times its size in memory: it has too many tiny objects, or other values
// in lists of objects. The result is arbitrary for invalid JSON.
func isBomb(text []byte) bool {
	var s scanner
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			if !s.step(c) || s.objects > len(text)/minBytesPerObject+1 || len(s.open) > maxDepth {
				return true
			}
			if c == '"' {
				n := stringLength(text[i:])
				if s.top() == addressList && n < minAddressLength {
					return true
				}
				s.lastString = text[i+1 : max(i+1, i+n-1)]
				i += n - 1
			}
		}
	}
	return false
}

// scanner reads a JSON text token by token.
type scanner struct {
	open       []bracket
	lastString []byte // it may be a key
	objects    int
	next       byte // the required first character of the next list element, or 0 for any
}

// bracket is the kind of an open bracket.
type bracket byte

const (
	object bracket = iota
	objectList
	addressList
	otherList
)

// elementStart is the required first character of a list's elements.
var elementStart = map[bracket]byte{objectList: '{', addressList: '"'}

// top returns the innermost open bracket, or object at the top level.
func (s *scanner) top() bracket {
	if len(s.open) == 0 {
		return object
	}
	return s.open[len(s.open)-1]
}

// step consumes the first character of a token and reports whether the token is allowed.
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
		s.open = append(s.open, s.listKind())
		s.next = elementStart[s.top()]
	case '}', ']':
		s.open = s.open[:max(0, len(s.open)-1)]
	case ',':
		s.next = elementStart[s.top()]
	}
	return true
}

// listKind returns the kind of a list by the key before it. Like encoding/json, it ignores the case of keys. A key with a
// backslash escape may spell any key.
func (s *scanner) listKind() bracket {
	isKey := func(name []byte) bool { return bytes.EqualFold(name, s.lastString) }
	switch {
	case len(s.open) == 0 || s.top() == object && (slices.ContainsFunc(objectLists, isKey) || bytes.ContainsRune(s.lastString, '\\')):
		return objectList
	case s.top() == object && slices.ContainsFunc(addressLists, isKey):
		return addressList
	}
	return otherList
}

// stringLength returns the length of the JSON string at the start of text, quotes included, or len(text) if it does not end.
func stringLength(text []byte) int {
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
