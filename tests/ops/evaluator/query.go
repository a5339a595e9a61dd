package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/promql"
)

type evaluator struct {
	engine *promql.Engine
	data   *memory
}

func evaluate(scrapes []scrape) *evaluator {
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples:           1_000_000,
		Timeout:              time.Minute,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
	})
	return &evaluator{engine, store(scrapes)}
}

// query returns the vector of an expression at a time, and what the engine finds odd about it.
func (e *evaluator) query(ctx context.Context, text string, at time.Time) (promql.Vector, []string, error) {
	query, err := e.engine.NewInstantQuery(ctx, e.data, nil, text, at)
	if err != nil {
		return nil, nil, err
	}
	defer query.Close()
	result := query.Exec(ctx)
	warnings, infos := result.Warnings.AsStrings(text, 0, 0)
	odd := append(warnings, infos...)
	if result.Err != nil {
		return nil, odd, result.Err
	}
	switch v := result.Value.(type) {
	case promql.Vector:
		return append(promql.Vector{}, v...), odd, nil
	case promql.Scalar:
		return promql.Vector{promql.Sample{T: v.T, F: v.V}}, odd, nil
	}
	return nil, odd, fmt.Errorf("expected a vector, got a %s", result.Value.Type())
}

type queryCase struct {
	Scrapes     []scrape `json:"scrapes"`
	Expressions []string `json:"expressions"`
	AtMs        int64    `json:"at_ms"`
}

type element struct {
	Labels map[string]string `json:"labels"`
	Value  string            `json:"value"`
}

type result struct {
	Error    string    `json:"error"`
	Odd      []string  `json:"odd"`
	Elements []element `json:"elements"`
}

func queryAll(c queryCase) (any, error) {
	e, answers := evaluate(c.Scrapes), []result{}
	for _, text := range c.Expressions {
		answer := result{Elements: []element{}}
		vector, odd, err := e.query(context.Background(), text, time.UnixMilli(c.AtMs))
		answer.Odd = append([]string{}, odd...)
		if err != nil {
			answer.Error = err.Error()
		}
		for _, one := range vector {
			shown := strconv.FormatFloat(one.F, 'g', -1, 64)
			answer.Elements = append(answer.Elements, element{one.Metric.Map(), shown})
		}
		answers = append(answers, answer)
	}
	return answers, nil
}
