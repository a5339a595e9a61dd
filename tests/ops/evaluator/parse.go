package main

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// matcher is one condition of a selector. Values are the alternatives of a regular expression that is nothing else.
type matcher struct {
	Label  string   `json:"label"`
	Values []string `json:"values"`
}

// selector is one mention of a metric, with the functions around it, the innermost first.
type selector struct {
	Metric   string    `json:"metric"`
	Matchers []matcher `json:"matchers"`
	Calls    []string  `json:"calls"`
}

// grouping is one mention of labels outside of a selector: by, without, on, ignoring, group_left, group_right.
type grouping struct {
	Labels  []string `json:"labels"`
	Metrics []string `json:"metrics"`
}

type parsed struct {
	Error     string     `json:"error"`
	Selectors []selector `json:"selectors"`
	Groupings []grouping `json:"groupings"`
}

type parseCase struct {
	Expressions []string `json:"expressions"`
}

func parseAll(c parseCase) (any, error) {
	answers := make([]parsed, 0, len(c.Expressions))
	for _, text := range c.Expressions {
		answers = append(answers, parseOne(text))
	}
	return answers, nil
}

func parseOne(text string) parsed {
	found := parsed{Selectors: []selector{}, Groupings: []grouping{}}
	expr, err := parser.ParseExpr(text)
	if err != nil {
		found.Error = err.Error()
		return found
	}
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			found.Selectors = append(found.Selectors, describe(n, path))
		case *parser.AggregateExpr:
			found.Groupings = append(found.Groupings, grouping{append([]string{}, n.Grouping...), metricsOf(n)})
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				names := append(append([]string{}, n.VectorMatching.MatchingLabels...), n.VectorMatching.Include...)
				found.Groupings = append(found.Groupings, grouping{names, metricsOf(n)})
			}
		}
		return nil
	})
	return found
}

func describe(n *parser.VectorSelector, path []parser.Node) selector {
	found := selector{Metric: n.Name, Matchers: []matcher{}, Calls: []string{}}
	for _, m := range n.LabelMatchers {
		if m.Name == labels.MetricName {
			continue
		}
		values := m.SetMatches()
		if m.Type == labels.MatchEqual || m.Type == labels.MatchNotEqual {
			values = []string{m.Value}
		}
		found.Matchers = append(found.Matchers, matcher{m.Name, append([]string{}, values...)})
	}
	for i := len(path) - 1; i >= 0; i-- {
		if call, is := path[i].(*parser.Call); is {
			found.Calls = append(found.Calls, call.Func.Name)
		}
	}
	return found
}

func metricsOf(node parser.Node) []string {
	names := []string{}
	parser.Inspect(node, func(inner parser.Node, _ []parser.Node) error {
		if n, is := inner.(*parser.VectorSelector); is {
			names = append(names, n.Name)
		}
		return nil
	})
	return names
}
