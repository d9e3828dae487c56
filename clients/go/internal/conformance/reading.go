package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"iter"

	"jobworker.dev/go/jobworker"
)

// reading is what a read comes to.
type reading struct {
	Bytes       int64      `json:"bytes"`
	SHA256      string     `json:"sha256"`
	FirstOffset *int64     `json:"first_offset"`
	EndOffset   *int64     `json:"end_offset"`
	Gaps        [][2]int64 `json:"gaps"`
	Job         *jobFacts  `json:"job"`
	Cancelled   bool       `json:"cancelled"`
	Ordered     bool       `json:"ordered"`
}

// following is a reading by the library's own follow.
type following struct {
	reading
	Resumes int `json:"resumes"`
}

func read(ctx context.Context, client *jobworker.Client, s step) (any, error) {
	options := jobworker.ReadOptions{Offset: s.Offset, Follow: s.Follow, TailLines: s.TailLines, Limit: s.Limit}
	taken, err := take(client.Read(ctx, s.Job, streamOf(s.Stream), options), s.CancelAt)
	if err != nil {
		return nil, err
	}
	return taken.reading, nil
}

func follow(ctx context.Context, client *jobworker.Client, s step) (any, error) {
	taken, err := take(client.Follow(ctx, s.Job, streamOf(s.Stream), s.Offset), s.CancelAt)
	if err != nil {
		return nil, err
	}
	return *taken, nil
}

// take reads to the end, or until it has as many bytes as it is to be cancelled after.
func take(frames iter.Seq2[jobworker.Frame, error], cancelAt *int64) (*following, error) {
	taken := &following{reading: reading{Gaps: [][2]int64{}, Ordered: true}}
	sum := sha256.New()
	defer func() { taken.SHA256 = hex.EncodeToString(sum.Sum(nil)) }()
	due := int64(-1) // until the first frame says where the reading begins
	expect := func(from, to int64) {
		taken.Ordered = taken.Ordered && (due == -1 || due == from)
		due = to
	}
	for frame, err := range frames {
		if err != nil {
			return nil, err
		}
		switch frame := frame.(type) {
		case jobworker.Data:
			expect(frame.Offset, frame.Offset+int64(len(frame.Bytes)))
			if taken.FirstOffset == nil {
				taken.FirstOffset = &frame.Offset
			}
			taken.Bytes += int64(len(frame.Bytes))
			sum.Write(frame.Bytes)
		case jobworker.Gap:
			expect(frame.From, frame.To)
			taken.Gaps = append(taken.Gaps, [2]int64{frame.From, frame.To})
		case jobworker.End:
			expect(frame.Offset, frame.Offset)
			taken.EndOffset, taken.Job = &frame.Offset, factsOf(frame.Job)
		case jobworker.Resumed:
			taken.Resumes++
		}
		if cancelAt != nil && taken.Bytes >= *cancelAt {
			taken.Cancelled = true
			break
		}
	}
	return taken, nil
}
