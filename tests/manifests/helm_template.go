// Renders the templates of a Helm chart without Helm, with Go's own text/template and the few functions that this chart
// uses. test_helm.py uses it where the program helm is missing.
//
// Standard input is the JSON object that `input` describes. Standard output is a JSON list with one object per release:
// {"rendered": {template: text}} or {"error": message}.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"
	"text/template"
)

type object = map[string]any

type input struct {
	Chart     object
	Templates map[string]string
	Files     map[string]string // what .Files.Get returns
	Parsed    map[string]object // the same files as fromYaml reads them
	Releases  []struct {
		Release object
		Values  object
	}
}

type files map[string]string

func (f files) Get(name string) string { return f[name] }

func asInt(value any) int {
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Int, reflect.Int64:
		return int(v.Int())
	case reflect.Float64:
		return int(v.Float())
	}
	panic(fmt.Sprintf("no number: %v", value))
}

func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// asYAML writes maps and lists in blocks, so that the lines can stand beside other keys or items of a template.
func asYAML(value any) string {
	lines := []string{}
	below := func(prefix string, value any) {
		text := asYAML(value)
		if v := reflect.ValueOf(value); (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() > 0 {
			text = "\n" + indent(2, text)
		}
		lines = append(lines, prefix+" "+text)
	}
	switch v := value.(type) {
	case object:
		keys := []string{}
		for key := range v {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		for _, key := range keys {
			below(asJSON(key)+":", v[key])
		}
	case []any:
		for _, item := range v {
			below("-", item)
		}
	}
	if len(lines) == 0 {
		return asJSON(value) // JSON is YAML
	}
	return strings.Join(lines, "\n")
}

func indent(width int, text string) string {
	pad := strings.Repeat(" ", width)
	return pad + strings.ReplaceAll(text, "\n", "\n"+pad)
}

func dict(pairs ...any) object {
	made := object{}
	for i := 0; i < len(pairs); i += 2 {
		made[pairs[i].(string)] = pairs[i+1]
	}
	return made
}

func functions(root *template.Template, in *input) template.FuncMap {
	return template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var out strings.Builder
			err := root.ExecuteTemplate(&out, name, data)
			return out.String(), err
		},
		"fail": func(message string) (string, error) { return "", errors.New(message) },
		"fromYaml": func(text string) (object, error) {
			for name, content := range in.Files {
				if content == text {
					return in.Parsed[name], nil
				}
			}
			return nil, errors.New("fromYaml reads only whole files of the chart here")
		},
		"toYaml":   asYAML,
		"toJson":   asJSON,
		"dict":     dict,
		"get":      func(from object, key string) any { return from[key] },
		"set":      func(in object, key string, value any) object { in[key] = value; return in },
		"kindIs":   func(kind string, value any) bool { return reflect.ValueOf(value).Kind().String() == kind },
		"int":      asInt,
		"toString": func(value any) string { return fmt.Sprint(value) },
		"add": func(terms ...any) (sum int) {
			for _, t := range terms {
				sum += asInt(t)
			}
			return
		},
		"quote":      func(value any) string { return fmt.Sprintf("%q", fmt.Sprint(value)) },
		"squote":     func(value any) string { return "'" + fmt.Sprint(value) + "'" },
		"contains":   func(part, text string) bool { return strings.Contains(text, part) },
		"trim":       strings.TrimSpace,
		"trimSuffix": func(end, text string) string { return strings.TrimSuffix(text, end) },
		"trunc": func(most int, text string) string {
			if len(text) > most {
				text = text[:most]
			}
			return text
		},
		"indent":    indent,
		"nindent":   func(width int, text string) string { return "\n" + indent(width, text) },
		"sha256sum": func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) },
		"ternary": func(yes, no any, condition bool) any {
			if condition {
				return yes
			}
			return no
		},
		"default": func(other, value any) any {
			if truth, _ := template.IsTrue(value); truth {
				return value
			}
			return other
		},
	}
}

func render(root *template.Template, data object, names map[string]string) object {
	rendered := map[string]string{}
	for name := range names {
		var out strings.Builder
		if err := root.ExecuteTemplate(&out, name, data); err != nil {
			return object{"error": err.Error()}
		}
		rendered[name] = out.String()
	}
	return object{"rendered": rendered}
}

func main() {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		panic(err)
	}
	// A misspelt value is an error.
	root := template.New("").Option("missingkey=error")
	root.Funcs(functions(root, &in))
	for name, text := range in.Templates {
		template.Must(root.New(name).Parse(text))
	}
	results := []object{}
	for _, r := range in.Releases {
		data := object{"Chart": in.Chart, "Release": r.Release, "Values": r.Values, "Files": files(in.Files)}
		results = append(results, render(root, data, in.Templates))
	}
	fmt.Println(asJSON(results))
}
