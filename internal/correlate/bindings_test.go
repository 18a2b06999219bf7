package correlate

import "testing"

// A server may close its listener when it has accepted a connection.
func TestPublishedPortWithoutListener(t *testing.T) {
	idle := func(connections ...string) containerSpec {
		c := server(connections...)
		c.listeners, c.bindings = nil, []string{"8080 0.0.0.0:18090"}
		return c
	}
	testLinks(t, []linkTest{
		{"dialled by a container", []hostSpec{hostA(idle(), client("out 172.17.0.107:44298 172.17.0.1:18090"))}, "a/client > a/server:8080 published client 1\n"},
		{"docker-proxy's piece is not the host's", []hostSpec{readA([]string{"in 172.17.0.1:18090 172.17.0.107:44298", "out 172.17.0.1:49380 172.17.0.106:8080"},
			idle("out 172.17.0.106:8080 172.17.0.1:49380"), client("out 172.17.0.107:44298 172.17.0.1:18090"),
		)}, "a/client > a/server:8080 published both 1\n"},
		{"docker-proxy's closed piece", []hostSpec{readA([]string{"out 172.17.0.1:49380 172.17.0.106:8080 TIME_WAIT"}, idle(), client("out 172.17.0.107:44298 172.17.0.1:18090 TIME_WAIT"))},
			"a/client > a/server:8080 published client 0+1\n"},
		{"another host", []hostSpec{hostA(idle()), hostB(client("out 172.17.0.107:44298 10.77.0.11:18090"))}, "b/client > a/server:8080 published client 1\n"},
	})
}
