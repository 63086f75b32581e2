package composio

import _ "embed"

// Description is openapi.yaml: our own description of the calls this package
// makes and the answers it understands, which tests hold client and sandbox to.
//
//go:embed openapi.yaml
var Description []byte
