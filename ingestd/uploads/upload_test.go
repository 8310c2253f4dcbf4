package uploads

import (
	"strings"
	"testing"
	"time"
)

func TestValuesAreBoundedInSize(t *testing.T) {
	u := testUpload(1)
	u.Receipt = []byte(`"` + strings.Repeat("x", maxValue) + `"`)
	for range 1000 {
		u.Files = append(u.Files, File{strings.Repeat("n", 100), 1})
	}
	text, err := encodeUpload(u)
	if err != nil || len(text) > maxValue {
		t.Fatalf("%d bytes (%v), want at most %d", len(text), err, maxValue)
	}
	if got, err := decodeUpload("key", text); err != nil || got.ID != u.ID || got.TotalBytes != 100 {
		t.Errorf("read back: %+v, %v", got, err)
	}
}

func TestRateAndTimeLeft(t *testing.T) {
	u := testUpload(1)
	if bytes, rows := u.Rate(); bytes != 0 || rows != 0 {
		t.Errorf("an upload that waits has a rate of %v bytes, %v rows", bytes, rows)
	}
	u.State, u.StartedAt, u.UpdatedAt = Processing, received, received.Add(2*time.Second)
	u.Bytes, u.Rows = 20, 10
	if bytes, rows := u.Rate(); bytes != 10 || rows != 5 {
		t.Errorf("rate is %v bytes, %v rows; want 10 and 5", bytes, rows)
	}
	if left, known := u.TimeLeft(); left != 8*time.Second || !known {
		t.Errorf("left is %s, %t; want 8s", left, known)
	}
	u.TotalBytes = 0
	if left, known := u.TimeLeft(); known {
		t.Errorf("left of an upload of unknown size is %s", left)
	}
}
