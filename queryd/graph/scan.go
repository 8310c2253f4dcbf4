package graph

import (
	"github.com/graphql-go/graphql/language/lexer"
	"github.com/graphql-go/graphql/language/source"
)

// scanTokens bounds tokens and nesting with the lexer alone, since the parser recurses into every bracket.
func (g *guard) scanTokens(src *source.Source) error {
	next := lexer.Lex(src)
	tokens, depth := 0, 0
	for {
		token, err := next(0)
		if err != nil {
			return badRequest("%s", err.Error())
		}
		switch token.Kind {
		case lexer.EOF:
			return nil
		case lexer.BRACE_L, lexer.BRACKET_L, lexer.PAREN_L:
			depth++
		case lexer.BRACE_R, lexer.BRACKET_R, lexer.PAREN_R:
			depth--
		}
		if tokens++; tokens > g.limits.tokens {
			return overLimit("document has more than %d tokens", g.limits.tokens)
		}
		if depth > g.limits.nesting {
			return overLimit("document nests brackets more than %d deep", g.limits.nesting)
		}
	}
}
