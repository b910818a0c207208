package node

import (
	"testing"
	"time"

	"github.com/bowline-edge/bowline/policy"
)

func TestTheSoonerOfTheTwoTimesEnds(t *testing.T) {
	const file = "testdata/logflood.wasm"
	box := &policy.Policy{Limits: policy.Limits{WallTime: time.Minute}}
	for name, c := range map[string]struct {
		opts RunOptions
		want time.Duration
	}{
		"nothing":          {RunOptions{File: file}, 0},
		"time-out":         {RunOptions{File: file, Timeout: time.Second}, time.Second},
		"policy":           {RunOptions{File: file, Policy: box}, time.Minute},
		"sooner time-out":  {RunOptions{File: file, Policy: box, Timeout: time.Second}, time.Second},
		"later time-out":   {RunOptions{File: file, Policy: box, Timeout: time.Hour}, time.Minute},
		"raised":           {RunOptions{File: file, Policy: box, Limits: policy.Limits{WallTime: time.Hour}}, time.Hour},
		"none":             {RunOptions{File: file, Policy: box, Limits: policy.Limits{WallTime: policy.None}}, 0},
		"a file not there": {RunOptions{File: "nothing", Policy: box, Timeout: time.Second}, time.Second},
	} {
		if got := EndsAfter(c.opts); got != c.want {
			t.Errorf("%s: ends after %s, want %s", name, got, c.want)
		}
	}
}
