package correlate

import (
	"testing"
)

func TestSwarmServiceIsReadFromTheTaskName(t *testing.T) {
	for name, want := range map[string]string{
		"/shop_web.1.p9bqzkvcxm0ykmfq3mhjxfa1s":                          "shop_web",
		"/shop_node.al8wqloxc2hpgetyfnnha5n0r.9vnn8zo3bxizkortbuyx2t0bz": "shop_node",
		"/shop-web-1": "", "/a.1.b": "",
	} {
		if got := swarmService(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
