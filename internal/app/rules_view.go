package app

import (
	"gatehouse/internal/change"
	"gatehouse/web/templates"
)

func ruleTitle(it change.Item, _ names) string { return it.Name }

func ruleDiff(it change.Item, _ names) templates.DiffView { return itemDiff(it) }
