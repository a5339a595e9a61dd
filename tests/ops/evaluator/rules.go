package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"
)

type rulesCase struct {
	Text string `json:"text"`
}

type alert struct {
	Name        string            `json:"name"`
	Expression  string            `json:"expression"`
	ForS        float64           `json:"for_s"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type rules struct {
	Errors []string `json:"errors"`
	Alerts []alert  `json:"alerts"`
}

// readRules reads a file of rules as Prometheus loads it: unknown fields, expressions, durations and templates too.
func readRules(c rulesCase) (any, error) {
	groups, errs := rulefmt.Parse([]byte(c.Text), false)
	found := rules{[]string{}, []alert{}}
	for _, err := range errs {
		found.Errors = append(found.Errors, err.Error())
	}
	if groups == nil || len(errs) > 0 {
		return found, nil
	}
	for _, rule := range allRules(groups) {
		seconds := time.Duration(rule.For).Seconds()
		found.Alerts = append(found.Alerts, alert{rule.Alert, rule.Expr, seconds, rule.Labels, rule.Annotations})
	}
	return found, nil
}

func allRules(groups *rulefmt.RuleGroups) []rulefmt.Rule {
	found := []rulefmt.Rule{}
	for _, group := range groups.Groups {
		found = append(found, group.Rules...)
	}
	return found
}

type alertsCase struct {
	Text    string   `json:"text"`
	Scrapes []scrape `json:"scrapes"`
	FromMs  int64    `json:"from_ms"`
	UntilMs int64    `json:"until_ms"`
	StepMs  int64    `json:"step_ms"`
}

type firing struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	SinceMs     int64             `json:"since_ms"`
}

// active is an alert whose expression holds.
type active struct {
	firing
	activeMs int64
}

// runAlerts evaluates all rules at every step and returns what fires at the last one. An alert fires when its
// expression has held at every evaluation for as long as the rule says.
func runAlerts(c alertsCase) (any, error) {
	groups, errs := rulefmt.Parse([]byte(c.Text), false)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	e, found := evaluate(c.Scrapes), []firing{}
	for _, rule := range allRules(groups) {
		held, last := map[string]active{}, c.FromMs
		for at := c.FromMs; at <= c.UntilMs; at += c.StepMs {
			next, err := e.step(rule, held, at)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", rule.Alert, err)
			}
			held, last = next, at
		}
		for _, key := range slices.Sorted(maps.Keys(held)) {
			one := held[key]
			if last-one.activeMs >= time.Duration(rule.For).Milliseconds() {
				one.SinceMs = one.activeMs + time.Duration(rule.For).Milliseconds()
				found = append(found, one.firing)
			}
		}
	}
	return found, nil
}

func (e *evaluator) step(rule rulefmt.Rule, held map[string]active, atMs int64) (map[string]active, error) {
	vector, _, err := e.query(context.Background(), rule.Expr, time.UnixMilli(atMs))
	if err != nil {
		return nil, err
	}
	next := map[string]active{}
	for _, one := range vector {
		shown, key, err := e.show(rule, one, atMs)
		if err != nil {
			return nil, err
		}
		if _, known := next[key]; known {
			return nil, fmt.Errorf("two alerts with the labels %s", key)
		}
		since := atMs
		if before, known := held[key]; known {
			since = before.activeMs
		}
		next[key] = active{shown, since}
	}
	return next, nil
}

// show expands the templates of an alert; a label that they name and the result lacks is an error.
func (e *evaluator) show(rule rulefmt.Rule, one promql.Sample, atMs int64) (firing, string, error) {
	ask := func(ctx context.Context, text string, at time.Time) (promql.Vector, error) {
		vector, _, err := e.query(ctx, text, at)
		return vector, err
	}
	data := template.AlertTemplateData(one.Metric.Map(), nil, "", one)
	expand := func(text string) (string, error) {
		prelude := "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$value := .Value}}"
		strict := []string{"missingkey=error"}
		return template.NewTemplateExpander(
			context.Background(), prelude+text, rule.Alert, data, model.Time(atMs), ask, nil, strict,
		).Expand()
	}
	builder := labels.NewBuilder(one.Metric)
	builder.Del(labels.MetricName)
	shown := firing{Annotations: map[string]string{}}
	for name, text := range rule.Labels {
		value, err := expand(text)
		if err != nil {
			return shown, "", err
		}
		builder.Set(name, value)
	}
	builder.Set(labels.AlertName, rule.Alert)
	for name, text := range rule.Annotations {
		value, err := expand(text)
		if err != nil {
			return shown, "", err
		}
		shown.Annotations[name] = strings.TrimSpace(value)
	}
	set := builder.Labels()
	shown.Labels = set.Map()
	return shown, set.String(), nil
}
