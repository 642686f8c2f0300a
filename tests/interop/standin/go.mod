module cairn.test/standin

go 1.24
