package node

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/policy"
)

// Manifest reads the manifest out of a module; nil if it has none.
func Manifest(wasm []byte) (*policy.Manifest, error) {
	file, err := wasmfile.Parse(wasm)
	if err != nil {
		return nil, nil // loading it says what is wrong
	}
	return ManifestOf(file)
}

// ManifestOf reads the manifest of a module that was read already; nil if it has none. Two of them are an error: nobody could say which one
// counts.
func ManifestOf(file *wasmfile.File) (m *policy.Manifest, err error) {
	sections := 0
	for _, c := range file.Custom {
		if c.Name != policy.ManifestSection {
			continue
		}
		if sections++; sections > 1 {
			return nil, fmt.Errorf("section %s comes twice", policy.ManifestSection)
		}
		if m, err = policy.ParseManifest(c.Bytes); err != nil {
			return nil, fmt.Errorf("section %s: %w", policy.ManifestSection, err)
		}
	}
	return m, nil
}

// Rights are what a plugin may do with a policy and added grants: what its manifest asks for and the policy grants, and what is added.
// The file name decides which section of the policy is for it, never what the plugin says of itself.
func Rights(name string, wasm []byte, box *policy.Policy, added []policy.Line) (*policy.Rights, error) {
	m, err := Manifest(wasm)
	if err != nil {
		return nil, err
	}
	return policy.Effective(box, policy.Plugin{Name: name, Digest: digest(wasm), Manifest: m}, added)
}

func digest(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	return hex.EncodeToString(sum[:])
}

// audit is one line about something that a plugin was denied, or a limit that it met.
type audit struct {
	Time    time.Time `json:"time"`
	Plugin  string    `json:"plugin"`
	Digest  string    `json:"digest"`
	Action  string    `json:"action"`
	Subject string    `json:"subject,omitempty"`
	Rule    string    `json:"rule,omitempty"`
	Add     string    `json:"add,omitempty"`
}

// limitLine is a limit that a plugin met as JSON.
func limitLine(name, digest, limit, value string) string {
	b, err := json.Marshal(audit{Time: time.Now().UTC(), Plugin: name, Digest: "sha256:" + digest, Action: "limit", Subject: limit, Rule: limit + ": " + value})
	if err != nil {
		return limit
	}
	return string(b)
}

// auditLine is a denial as JSON.
func auditLine(name, digest string, d *policy.Denied) string {
	a := audit{Time: time.Now().UTC(), Plugin: name, Digest: "sha256:" + digest, Action: d.Action.Verb(), Subject: d.Action.Subject(), Add: d.Add}
	if d.Line != nil {
		a.Rule = d.Line.Source() + ": " + d.Line.Grant.String()
	}
	b, err := json.Marshal(a)
	if err != nil {
		return d.Error()
	}
	return string(b)
}
