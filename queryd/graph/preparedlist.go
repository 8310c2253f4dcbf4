package graph

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/graphql-go/graphql"
)

// preparedLists holds the lists of one execution that were written as JSON in place of their completion by the library, which
// costs microseconds for each field of each object. The library completes an empty list there, and insertInto puts the text
// in its place: arguments, aliases, merged fields and errors above the list are the library's. A list whose selections the
// plan does not know, or one with an error or a null that is not allowed in it, is left to the library as a whole.
type preparedLists struct {
	lists []preparedList
	bytes int
}

type preparedList struct {
	path *graphql.ResponsePath
	text json.RawMessage
}

// insertInto puts the lists into the data of a result. A list whose parent became null is not there any more.
func (l *preparedLists) insertInto(data any) {
	for _, one := range l.lists {
		parent, path := data, one.path.AsArray()
		for _, key := range path[:len(path)-1] {
			parent = childAt(parent, key)
		}
		if childAt(parent, path[len(path)-1]) == nil {
			continue
		}
		switch last := path[len(path)-1].(type) {
		case string:
			parent.(map[string]any)[last] = one.text
		case int:
			parent.([]any)[last] = one.text
		}
	}
}

// childAt returns a member of an object or an item of a list, nil if there is none.
func childAt(parent, key any) any {
	switch key := key.(type) {
	case string:
		object, _ := parent.(map[string]any)
		return object[key]
	case int:
		if list, ok := parent.([]any); ok && key < len(list) {
			return list[key]
		}
	}
	return nil
}

// prepareList makes a resolver of a list of objects write the list, if it can.
func prepareList(of *graphql.Object, resolve resolver) resolver {
	return func(p graphql.ResolveParams) (any, error) {
		list, err := resolve(p)
		root := currentView(p)
		if err != nil || list == nil || root.prepared == nil {
			return list, err
		}
		plan, ok := planObjects(of, p)
		if !ok {
			return list, nil
		}
		shape := valuePlan{item: &valuePlan{nonNull: true, object: plan}}
		text, ok := shape.appendValue(nil, list)
		if !ok {
			return list, nil
		}
		root.prepared.lists = append(root.prepared.lists, preparedList{p.Info.Path, text})
		root.prepared.bytes += len(text)
		return []any{}, nil
	}
}

// listedObject returns the type of the objects in a list, nil for any other type.
func listedObject(of graphql.Output) *graphql.Object {
	if outer, ok := of.(*graphql.NonNull); ok {
		if list, ok := outer.OfType.(*graphql.List); ok {
			if inner, ok := list.OfType.(*graphql.NonNull); ok {
				object, _ := inner.OfType.(*graphql.Object)
				return object
			}
		}
	}
	return nil
}

// objectPlan writes objects of one type with the selected fields, sorted by their names in the answer.
type objectPlan struct{ fields []fieldPlan }

type fieldPlan struct {
	name   string // in the answer
	prefix []byte // the same as JSON, with a colon
	text   []byte // the value, if it is the same for every object
	params graphql.ResolveParams
	call   graphql.FieldResolveFn
	shape  valuePlan
}

// valuePlan writes values of one type. One of item, object and scalar is set.
type valuePlan struct {
	nonNull bool
	item    *valuePlan
	object  *objectPlan
	scalar  *graphql.Scalar
}

// appendObject appends an object. ok is false if the library has to complete it.
func (o *objectPlan) appendObject(out []byte, source any) (_ []byte, ok bool) {
	out = append(out, '{')
	for i := range o.fields {
		f := &o.fields[i]
		if i > 0 {
			out = append(out, ',')
		}
		if out = append(out, f.prefix...); f.text != nil {
			out = append(out, f.text...)
			continue
		}
		params := f.params
		params.Source = source
		value, err := f.call(params)
		if err != nil {
			return out, false
		}
		if out, ok = f.shape.appendValue(out, value); !ok {
			return out, false
		}
	}
	return append(out, '}'), true
}

// appendValue appends a resolved value. ok is false if the library has to complete it.
func (v *valuePlan) appendValue(out []byte, value any) (_ []byte, ok bool) {
	switch {
	case value == nil:
		return append(out, "null"...), !v.nonNull
	case v.item != nil:
		return v.appendList(out, reflect.ValueOf(value))
	case v.object != nil:
		if r := reflect.ValueOf(value); r.Kind() == reflect.Pointer && r.IsNil() {
			return append(out, "null"...), !v.nonNull
		}
		return v.object.appendObject(out, value)
	}
	return appendScalar(out, v.scalar, value, v.nonNull)
}

func (v *valuePlan) appendList(out []byte, list reflect.Value) (_ []byte, ok bool) {
	if list.Kind() != reflect.Slice {
		return out, false
	}
	begun := len(out)
	out = append(out, '[')
	for i := range list.Len() {
		if i > 0 {
			out = append(out, ',')
		}
		if i == sampledItems { // most items have about the same size
			out = slices.Grow(out, (len(out)-begun)/sampledItems*(list.Len()-sampledItems)*9/8)
		}
		if out, ok = v.item.appendValue(out, list.Index(i).Interface()); !ok {
			return out, false
		}
	}
	return append(out, ']'), true
}

// sampledItems is the number of items from which the size of a list is estimated.
const sampledItems = 32
