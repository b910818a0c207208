package main

import (
	"slices"
	"testing"
)

func TestArrangeLeavesPluginArgumentsAlone(t *testing.T) {
	cmd := (&app{}).runCommand()
	cases := map[string]struct{ args, want []string }{
		"options behind":        {[]string{"f", "--timeout", "3s", "-v"}, []string{"--timeout", "3s", "-v", "--", "f"}},
		"options before":        {[]string{"--timeout=3s", "f"}, []string{"--timeout=3s", "--", "f"}},
		"plugin's own":          {[]string{"f", "--", "-v", "--", "-h"}, []string{"--", "f", "--", "-v", "--", "-h"}},
		"standard input":        {[]string{"-", "-v"}, []string{"-v", "--", "-"}},
		"value that looks so":   {[]string{"--env", "-x=1", "f"}, []string{"--env", "-x=1", "--", "f"}},
		"nothing for a plugin":  {[]string{"f", "--"}, []string{"--", "f", "--"}},
		"one dash, old fashion": {[]string{"-timeout", "3s", "f"}, []string{"-timeout", "3s", "--", "f"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, _, err := arrange(cmd, c.args)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestClosestForgivesTypingErrors(t *testing.T) {
	words := []string{"run", "inspect", "probe", "version", "completion", "man", "help"}
	for typed, want := range map[string]string{
		"rnu": "run", "inpsect": "inspect", "prob": "probe", "ver": "version", "complete": "completion", "zebra": "", "x": "",
	} {
		if got := closest(typed, words); got != want {
			t.Errorf("%s: got %q, want %q", typed, got, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]uint64{
		"64K": 64 << 10, "64M": 64 << 20, "64MiB": 64 << 20, "1g": 1 << 30, "4G": 4 << 30, "65536": 65536, "2MB": 2 << 20,
		"": 0, "M": 0, "5": 0, "5G": 0, "-1M": 0, "1X": 0, "1MM": 0, "99999999999999999999": 0, "18446744073709551615G": 0,
	} {
		got, err := parseSize(text)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestSizeOptionIsReadBack(t *testing.T) {
	for want, n := range map[string]uint64{"64K": 64 << 10, "128K": 128 << 10, "1088K": 17 * 64 << 10, "17M": 17 << 20, "4G": 4 << 30} {
		got := sizeOption(n)
		if back, err := parseSize(got); got != want || back != n || err != nil {
			t.Errorf("%d: got %s, which reads %d, %v, want %s", n, got, back, err, want)
		}
	}
}

func TestObjectLengthOfHostileHeaders(t *testing.T) {
	header := func(change func([]byte)) []byte {
		b := make([]byte, 4096)
		copy(b, elfMagic+"\x02\x01\x01")
		b[18], b[58] = machineBPF, elfSection
		change(b)
		return b
	}
	cases := map[string]struct {
		b        []byte
		ok, fine bool
	}{
		"too short":       {[]byte(elfMagic), false, false},
		"another machine": {header(func(b []byte) { b[18] = 62 }), false, false},
		"no sections":     {header(func([]byte) {}), true, true},
		"table beyond":    {header(func(b []byte) { b[40+6], b[60] = 1, 1 }), true, false},
		"table wraps":     {header(func(b []byte) { copy(b[40:48], "\xff\xff\xff\xff\xff\xff\xff\xff"); b[60] = 1 }), true, false},
		"section beyond":  {header(func(b []byte) { b[40], b[60], b[64+4], b[64+34] = 64, 1, 1, 1 }), true, false},
		"section wraps": {header(func(b []byte) {
			b[40], b[60], b[64+4] = 64, 1, 1
			copy(b[64+24:64+40], slices.Repeat([]byte{0xff}, 16))
		}), true, false},
		"odd section size":  {header(func(b []byte) { b[58], b[60] = 1, 1 }), true, false},
		"section of no use": {header(func(b []byte) { b[40], b[60], b[64+4], b[64+34] = 64, 1, noBits, 1 }), true, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n, ok, err := objectLength(c.b)
			if ok != c.ok || (err == nil) != c.fine && ok || n > len(c.b) {
				t.Errorf("got %d, %v, %v", n, ok, err)
			}
		})
	}
}
