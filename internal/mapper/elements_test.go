package mapper

import (
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/snapshot"
)

func TestElements(t *testing.T) {
	for text, want := range map[string]int{
		``: 0, `{}`: 1, `[]`: 0, `[ ]`: 0, `[{}]`: 1, `[{},{}]`: 2, `[null, null ,null]`: 3, `[0,"",[],[[]],true]`: 6,
		`{"a":1,"b":[1,2],"c":{"d":[]}}`: 4, `["[,{\"",","]`: 2, `["\\"]`: 1, `"[1,2`: 0, `["a`: 1, `["\`: 1, `]}],[1`: 1,
	} {
		if got := elements([]byte(text), 1000); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
	if got := elements([]byte(strings.Repeat("[", 1000)), 5); got != 6 {
		t.Errorf("it went on to %d", got)
	}
}

// Whatever stands in place of an element, an answer that is made of nothing is not decoded.
func TestNothingIsDecoded(t *testing.T) {
	for _, nothing := range []string{"{}", "null", "0", `""`, "[]", "true"} {
		many := "[" + strings.Repeat(nothing+",", 100_000) + nothing + "]"
		for format, text := range map[string]string{
			formatSnapshot:                      `{"version":1,"containers":` + many + `}`,
			formatConnections:                   many,
			formatSnapshot + " of connections":  `{"version":1,"containers":[{"id":"a","connections":` + many + `}]}`,
			formatSnapshot + " of listeners":    `{"version":1,"containers":[{"id":"a","listening":` + many + `}]}`,
			formatConnections + " of listeners": `[{"name":"a","listening":` + many + `}]`,
		} {
			kind, _, _ := strings.Cut(format, " ")
			if document, err := decode(strings.NewReader(text), kind); err == nil || len(document.Containers) > 0 {
				t.Errorf("%s of %s: %d containers, %v", format, nothing, len(document.Containers), err)
			}
		}
	}
	short := `[{"name":"a","artefact":"b","listening":[` + strings.Repeat(`{"address":"1.1.1.1","port":1},`, 1000) + `{"address":"::","port":1}],"established":[]}]`
	if document, err := decode(strings.NewReader(short), formatConnections); err != nil || len(document.Containers) != 1 || document.Version != snapshot.Version {
		t.Errorf("%d containers, %v", len(document.Containers), err)
	}
}
