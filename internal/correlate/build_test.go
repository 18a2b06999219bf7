package correlate

import "testing"

func TestAddressOfANewlyPolledHostSupersedesExternal(t *testing.T) {
	link := buildAll(hostA(server("in 172.17.0.106:8080 10.77.0.12:1"))).Links[0]
	if !buildAll(hostA(server()), hostB()).Supersedes(link) || buildAll(hostA(server())).Supersedes(link) {
		t.Error("Supersedes: want true only if the host of the external address is polled")
	}
}
