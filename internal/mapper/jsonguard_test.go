package mapper

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// A response of many tiny values in place of objects is rejected before it is decoded.
func TestBombsAreRejected(t *testing.T) {
	for _, value := range []string{"{}", "null", "0", `""`, "[]", "true", "-1", `"1.2.3.4"`} {
		many := "[" + strings.Repeat(value+" , ", 100_000) + value + "]"
		for format, text := range map[string]string{
			formatSnapshot: `{"version":1,"containers":` + many + `}`,
			formatSnapshot + " with an upper case key": `{"version":1,"CONTAINERS" : ` + many + `}`,
			formatSnapshot + " with an escaped key":    `{"version":1,"c\u006fntainers":` + many + `}`,
			formatSnapshot + " of connections":         `{"version":1,"containers":[{"id":"a","connections":` + many + `}]}`,
			formatSnapshot + " of networks":            `{"version":1,"containers":[{"id":"a","networks":` + many + `}]}`,
			formatSnapshot + " of ports":               `{"version":1,"containers":[{"id":"a","listening":[{"published":` + many + `}]}]}`,
			formatSnapshot + " of a host":              `{"version":1,"host":{"addresses":` + strings.ReplaceAll(many, `"1.2.3.4"`, `"1"`) + `},"containers":[]}`,
			formatConnections:                          many,
			formatConnections + " of remotes":          `[{"name":"a","established":` + many + `}]`,
		} {
			kind, _, _ := strings.Cut(format, " ")
			if document, err := decode(strings.NewReader(text), kind); err == nil || len(document.Containers) > 0 {
				t.Errorf("%s of %s: %d containers, %v", format, value, len(document.Containers), err)
			}
		}
	}
	if _, err := decode(strings.NewReader(strings.Repeat("[", 1<<20)), formatConnections); err == nil {
		t.Error("nested brackets are accepted")
	}
}

// A valid response of small values is decoded: many host addresses, many short endpoints, empty lists, and unknown fields.
func TestValidSmallValuesAreDecoded(t *testing.T) {
	var document snapshotv1.Snapshot
	document.Version = snapshotv1.Version
	for i := range 2000 {
		document.Host.Addresses = append(document.Host.Addresses, netip.AddrFrom4([4]byte{1, 1, byte(i >> 8), byte(i)}))
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decode(strings.NewReader(string(text)), formatSnapshot); err != nil || len(got.Host.Addresses) != 2000 {
		t.Errorf("%d addresses, %v", len(got.Host.Addresses), err)
	}
	endpoints := `[` + strings.Repeat(`{"address":"::","port":1},`, 1000) + `{"address":"::","port":1}]`
	for format, text := range map[string]string{
		formatConnections: `[{"name":"a","artefact":"b","listening":` + endpoints + `,"established":[ ]}]`,
		formatSnapshot:    `{"version":1,"later":[1,null,[],"x"],"containers":[{"id":"a","tags":["b","\"[{"],"connections":[],"networks":[{"id":"n","addresses":["1.1.1.1"]}]}]}`,
	} {
		if got, err := decode(strings.NewReader(text), format); err != nil || len(got.Containers) != 1 {
			t.Errorf("%s: %d containers, %v", format, len(got.Containers), err)
		}
	}
}
