package main

import (
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// scrape is what one target said at one time; without its samples of before it is as if those had ended.
type scrape struct {
	AtMs    int64    `json:"at_ms"`
	Target  string   `json:"target"`
	Samples []sample `json:"samples"`
}

type sample struct {
	Labels map[string]string `json:"labels"`
	Value  float64           `json:"value"`
}

// point is a sample in the storage's form.
type point struct {
	t int64
	f float64
}

func (p point) T() int64                    { return p.t }
func (p point) F() float64                  { return p.f }
func (point) H() *histogram.Histogram       { return nil }
func (point) FH() *histogram.FloatHistogram { return nil }
func (point) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (p point) Copy() chunks.Sample         { return p }

type series struct {
	labels labels.Labels
	points []chunks.Sample
}

// memory holds scrapes as Prometheus would: what a target no longer says gets a staleness marker.
type memory struct {
	series map[string]*series
}

func store(scrapes []scrape) *memory {
	held := &memory{map[string]*series{}}
	said := map[string]map[string]bool{}
	for _, s := range scrapes {
		now := map[string]bool{}
		for _, one := range s.Samples {
			set := labels.FromMap(one.Labels)
			now[set.String()] = true
			held.add(set, point{s.AtMs, one.Value})
		}
		for key := range said[s.Target] {
			if !now[key] {
				ended := held.series[key]
				ended.points = append(ended.points, point{s.AtMs, math.Float64frombits(value.StaleNaN)})
			}
		}
		said[s.Target] = now
	}
	return held
}

func (m *memory) add(set labels.Labels, p point) {
	key := set.String()
	if m.series[key] == nil {
		m.series[key] = &series{labels: set}
	}
	m.series[key].points = append(m.series[key].points, p)
}

// Querier implements storage.Queryable.
func (m *memory) Querier(_, _ int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: m.find}, nil
}

func (m *memory) find(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	found := &seriesSet{}
	for _, one := range m.series {
		matches := !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool {
			return !m.Matches(one.labels.Get(m.Name))
		})
		if matches {
			found.rest = append(found.rest, storage.NewListSeries(one.labels, one.points))
		}
	}
	slices.SortFunc(found.rest, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return found
}

type seriesSet struct {
	rest    []storage.Series
	current storage.Series
}

func (s *seriesSet) Next() bool {
	if len(s.rest) == 0 {
		return false
	}
	s.current, s.rest = s.rest[0], s.rest[1:]
	return true
}

func (s *seriesSet) At() storage.Series              { return s.current }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

var _ storage.Queryable = (*memory)(nil)
