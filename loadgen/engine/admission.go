package engine

import (
	"crypto/subtle"
	"encoding/base64"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// inProcess is the user name of connections from the server's own process.
const inProcess = "in-process"

// admission decides who may connect, and what they may do.
type admission struct {
	password string
	token    string
	operator string
	permit   func(id string) Permissions
}

// Check admits the process itself by its password, and a worker by the token and
// its signature of the challenge.
func (a *admission) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	if o.Username == inProcess {
		return equal(o.Password, a.password)
	}
	if a.operator != "" && equal(o.Token, a.operator) {
		return true
	}
	if a.token == "" || !equal(o.Token, a.token) || !signed(o.Nkey, o.Sig, c.GetNonce()) {
		return false
	}
	p := a.permit(o.Nkey)
	c.RegisterUser(&server.User{Username: o.Nkey, Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: p.Publish},
		Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
		Response:  &server.ResponsePermission{MaxMsgs: 1, Expires: server.DEFAULT_ALLOW_RESPONSE_EXPIRATION},
	}})
	return true
}

// signed says whether sig is the signature of nonce by the key whose public half
// is id.
func signed(id, sig string, nonce []byte) bool {
	if !nkeys.IsValidPublicUserKey(id) || len(nonce) == 0 {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil {
		return false
	}
	key, err := nkeys.FromPublicKey(id)
	return err == nil && key.Verify(nonce, raw) == nil
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
