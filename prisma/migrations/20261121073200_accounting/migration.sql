-- What concerns every recipient of a tenant (an export of the whole tenant, an operator let in) has the tenant's own id for its subject:
-- whoever may see the trail of one recipient sees those lines too.
drop policy actor on audit.event;
create policy actor on audit.event as restrictive for select to maristan_consumer_read
  using (subject_id in (select gate.my_recipients())
    or (subject_id = tenant_id and exists (select from gate.my_recipients())));
