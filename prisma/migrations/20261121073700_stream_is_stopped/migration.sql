-- A stream that was stopped keeps its row, without address and credentials: nobody deletes in this schema.
revoke delete on audit.stream from maristan_console;
