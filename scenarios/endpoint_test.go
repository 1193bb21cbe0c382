package scenarios

import "testing"

func TestEndpoint(t *testing.T) {
	for _, c := range []struct {
		request Request
		want    string
	}{
		{Request{Get: "/items/{{ int 1 9 }}?page=2"}, "GET /items/{{ int 1 9 }}"},
		{Request{Post: `/a/{{ choose "x?" "y" }}/b`}, `POST /a/{{ choose "x?" "y" }}/b`},
		{Request{Delete: "http://other/x"}, "DELETE http://other/x"},
		{Request{}, ""},
	} {
		if got := c.request.Endpoint(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
