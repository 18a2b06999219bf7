package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/docker/docker/client"
	"github.com/google/go-cmp/cmp"
)

// calls lists all methods of Docker's client that this package may call, each with its requests to the engine. The text
// is empty for a method without requests. A linter forbids the module in all other packages.
var calls = map[string]string{
	"Ping":                 "HEAD /_ping",
	"ContainerList":        "GET /containers/json",
	"ContainerInspect":     "GET /containers/{id}/json",
	"NetworkList":          "GET /networks",
	"NetworkInspect":       "GET /networks/{id}",
	"Events":               "GET /events",
	"Info":                 "GET /info",
	"ServerVersion":        "GET /version",
	"ContainerExecCreate":  "POST /containers/{id}/exec",
	"ContainerExecAttach":  "POST /exec/{id}/start",
	"ContainerExecInspect": "GET /exec/{id}/json",

	"Close": "", "ClientVersion": "", "HTTPClient": "",
}

func TestOnlyListedCallsAreMade(t *testing.T) {
	methods := make(map[string]bool)
	for method := range reflect.TypeFor[*client.Client]().Methods() {
		methods[method.Name] = true
	}
	called := make(map[string]string)
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			selector, ok := node.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if of, named := selector.X.(*ast.Ident); methods[selector.Sel.Name] && (!named || of.Name != "net") { // net.Dialer is not the client
				called[selector.Sel.Name] = calls[selector.Sel.Name]
			}
			return true
		})
	}
	if diff := cmp.Diff(calls, called); diff != "" {
		t.Errorf("calls differ from those listed here and in collect/README.md (-listed +called):\n%s", diff)
	}
	readme, err := os.ReadFile("../collect/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, disclosed, _ := strings.Cut(string(readme), "\n## Full disclosure\n")
	disclosed, _, _ = strings.Cut(disclosed, "\n## ")
	for method, asks := range calls {
		if _, path, _ := strings.Cut(asks, " "); !strings.Contains(disclosed, path) {
			t.Errorf("%s: collect/README.md does not disclose %s", method, asks)
		}
	}
}
