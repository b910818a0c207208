package vmtest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFramesComeBackWhole(t *testing.T) {
	var b bytes.Buffer
	f := &frames{w: &b}
	want := bytes.Repeat([]byte("x"), 3*maxFrame+5)
	if _, err := f.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := f.sendNumber(frameExit, 130); err != nil {
		t.Fatal(err)
	}
	var got []byte
	buf := make([]byte, maxFrame)
	for {
		kind, p, err := readFrame(&b, buf)
		if err != nil {
			t.Fatal(err)
		}
		if kind == frameExit {
			if n, err := number(p); n != 130 || err != nil {
				t.Errorf("got status %d, %v", n, err)
			}
			break
		}
		got = append(got, p...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
	for _, bad := range []string{"q\x00\x00", "o\xff\xff", "o\x00\x05ab", ""} {
		if _, _, err := readFrame(strings.NewReader(bad), buf); err == nil {
			t.Errorf("frame %q was taken", bad)
		}
	}
}

func TestArchiveIsWhatCpioReads(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("needs cpio")
	}
	src := t.TempDir()
	if err := os.WriteFile(filepath.Join(src, "f"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", filepath.Join(src, "l")); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	a := newArchive(&b)
	if err := a.tree(src, "/a/b"); err != nil {
		t.Fatal(err)
	}
	if err := a.bytes("a/b/f", 0o644, nil); err == nil {
		t.Error("a path given twice was taken")
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cpio", "-id", "--quiet")
	cmd.Dir, cmd.Stdin = t.TempDir(), &b
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(cmd.Dir, "a/b/l")); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestBrokenKernelImagesAreRefused(t *testing.T) {
	image := make([]byte, 4096)
	if _, err := vmlinux(context.Background(), image); err == nil {
		t.Error("zeros were taken for a kernel")
	}
	copy(image[0x202:], "HdrS")
	for i := range 8 {
		image[0x248+i] = 0xff
		if _, err := vmlinux(context.Background(), image); err == nil {
			t.Error("a payload outside the file was taken")
		}
	}
	if hasPVHNote(image) {
		t.Error("found a note in zeros")
	}
}

func TestNewestKernelOfASeriesIsFound(t *testing.T) {
	names := []string{
		"linux-image-6.1.0-9-cloud-amd64", "linux-image-6.1.0-50-cloud-amd64", "linux-image-6.1.0-51-amd64", "linux-image-6.1.0-51-rt-amd64",
		"linux-image-6.1.0-52-cloud-amd64-unsigned", "linux-image-6.12.9+deb13-cloud-amd64", "linux-image-6.12.10+deb13-cloud-amd64",
		"linux-image-7.2.13+deb14-cloud-amd64", "linux-binary-7.2.13+deb14-cloud-amd64", "linux-modules-7.2.13+deb14-cloud-amd64",
		"linux-image-cloud-amd64", "linux-doc-7.2",
	}
	for series, want := range map[string][]string{
		"6.1":  {"linux-image-6.1.0-50-cloud-amd64"},
		"6.12": {"linux-image-6.12.10+deb13-cloud-amd64"},
		Newest: {"linux-binary-7.2.13+deb14-cloud-amd64", "linux-modules-7.2.13+deb14-cloud-amd64", "linux-base-7.2.13+deb14-cloud-amd64"},
	} {
		if got, err := newestKernel(names, series); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", series, got, err, want)
		}
	}
	if _, err := newestKernel(names, "5.10"); err == nil || !strings.Contains(err.Error(), "5.10") {
		t.Errorf("got %v, want an error that names the series", err)
	}
}
