module temporal-azure/tests/go_verifier

go 1.25
