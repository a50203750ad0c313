"""Trees onto hosts: generations, the switch on the target, apply, rollback and verify."""
